"""Configs with their changes, checked before anything is built.

``options`` puts the command line's values into a config, ``check`` finds all that is wrong with the result. What a
component takes is read from its class (``components``, ``hints``), the class itself refuses bad values (``trial``), and
``ranges`` has what neither says.
"""
