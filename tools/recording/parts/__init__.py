"""The parts of a record: each module's ``run(setting, rows)`` measures one."""
