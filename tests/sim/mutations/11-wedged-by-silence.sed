# healing.cpp: an operation whose answer never comes is waited for without end
/case Phase::acting:/,/break;/ s/now_ >= s\.op\.deadline/now_ == never/
