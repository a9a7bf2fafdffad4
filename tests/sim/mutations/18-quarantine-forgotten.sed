# core.cpp: quarantine does not survive a restart of the process
s/r\.quarantined = s\.quarantined;//
