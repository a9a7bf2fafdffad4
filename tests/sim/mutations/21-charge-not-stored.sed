# healing.cpp: the stored record does not count the restart
s/s\.ledger\.charge\(now_\);/(void)0;/
