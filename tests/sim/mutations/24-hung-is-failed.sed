# operation.cpp: an Engine that hung is not given time when it answers again
s/case timed_out: overdue\(s\); break;/case timed_out: confirm(s, true, Duration{}); break;/
