# ledger.cpp: one restart more than the budget
s/used\(\) >= budget\.restarts \?/used() > budget.restarts ?/
