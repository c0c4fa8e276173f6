"""The door: open work, call the domain, return what it returns.

A resolver's signature is the field's signature, so what comes in (inputs, filters) is typed here, and what goes out
is a view in `schema/`, in the file of the same name.
"""
