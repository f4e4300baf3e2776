"""Builds a data set's records, and looks at them.

python -m components.dataset build pascal
python -m components.dataset inspect pascal
"""

from components import entry

if __name__ == "__main__":
    with entry.command():
        # Imported here: it needs packages, and a Python without them should end with one line.
        from components.dataset import commands

        commands.main()
