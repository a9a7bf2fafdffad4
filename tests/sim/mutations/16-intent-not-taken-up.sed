# operation.cpp: a stored intent is dropped after a restart of the process
s/if \(c\.id != intent\.container \|\|/if (true ||/
