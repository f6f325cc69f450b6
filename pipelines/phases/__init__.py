"""Jobs that do numbered pieces of work, phase after phase, in this process or on any engine of Beam's."""
