"""Write a model as ONNX, up to the fusion: ``export_onnx.py CONFIG CKPT --out F``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('export-onnx')
