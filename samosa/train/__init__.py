"""How it is trained: the one loop, its objectives, optimizer and schedules, and the processes it runs in."""
