"""Floor 0: records, ports and errors. No input or output happens here."""
