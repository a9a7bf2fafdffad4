# asked.cpp: a release forgets the restart that is about to happen
s/s\.op\.charged\) s\.ledger\.charge\(now_\);/s.op.charged) (void)0;/
