"""The one exception that every entry point raises for bad input."""


class InputError(ValueError):
    """Bad input from the user: a file, a field of it, a flag or a config key.

    The message names the file, the field, what was found and what was
    expected. The command line tools print it without a traceback and exit
    with code 2.

    Args:
        source: File, folder, flag or config key that is wrong.
        found: What was found there.
        expected: What would have been right.
        field: Field, key or row inside ``source``, if any.
    """

    def __init__(self, source, found: str | None = None, expected: str = '', field: str = ''):
        # multiprocessing pickles exceptions by their args
        super().__init__(source, found, expected, field)
        if found is None:
            # torch raises a DataLoader worker's exception again as
            # type(text of the worker's traceback), which ends in ours
            self.message = str(source).rpartition('InputError: ')[2].strip()
        else:
            where = f'{source}: {field}' if field else str(source)
            self.message = f'{where}: found {found}; expected {expected}'

    def __str__(self) -> str:
        return self.message
