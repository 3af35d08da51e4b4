"""The browser processes: launched, sandboxed, measured, recycled, and gone without a trace."""
