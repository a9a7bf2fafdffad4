# healing.cpp: one restart more than the budget
s/s\.ledger\.remaining\(s\.budget\) == 0/s.ledger.used() > s.budget.restarts/
