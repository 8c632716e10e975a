"""Floor 4: one role each, planning mode and execution mode."""
