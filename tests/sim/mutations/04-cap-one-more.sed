# healing.cpp: one operation more than the cap
s/in_flight_ < config_\.max_concurrent/in_flight_ <= config_.max_concurrent/
