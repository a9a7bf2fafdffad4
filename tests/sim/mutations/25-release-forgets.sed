# asked.cpp: a release forgets the restart that is about to happen
s/if (s\.op\.phase == Phase::preparing && s\.op\.charged) s\.ledger\.charge(now_);//
