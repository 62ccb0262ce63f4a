"""Write a model's dense path as ONNX: ``export_onnx.py CONFIG CKPT --out F``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('export_onnx')
