# states.cpp: any time refills the budget, not only healthy time
s/s\.ledger\.run\(s\.state == State::healthy.*/s.ledger.run(true, now_);/
