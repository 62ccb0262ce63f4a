"""Write a model's dense path as ONNX: ``export_onnx.py CONFIG CKPT --out F``."""

from pandepth_mm.cli.export_onnx import main

if __name__ == '__main__':
    main()
