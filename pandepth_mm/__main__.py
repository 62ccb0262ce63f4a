"""``python -m pandepth_mm COMMAND ...``."""

from pandepth_mm.cli.main import main

if __name__ == '__main__':
    main(prog='python -m pandepth_mm')
