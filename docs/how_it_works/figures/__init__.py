"""The figures of the chapter "How it works": one module per page, one function per figure."""
