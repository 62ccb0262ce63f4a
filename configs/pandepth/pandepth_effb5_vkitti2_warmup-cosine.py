# The paper's model with a warm-up and a falling learning rate. The second
# base does the same for any config whose learning rate is constant.
_base_ = ['./pandepth_effb5_vkitti2.py', '../_base_/schedules/warmup_cosine_50e.py']
