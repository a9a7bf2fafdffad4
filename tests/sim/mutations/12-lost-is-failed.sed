# operation.cpp: a lost answer counts as a failure at once
s/case unknown: confirm\(s, true, Duration\{\}\); break;/case unknown: confirm(s, false, Duration{}); break;/
