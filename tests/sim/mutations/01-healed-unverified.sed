# operation.cpp: the Engine's yes counts as healed
s/if \(good && \(checked \|\|.*\) return healed\(s\);/return healed(s);/
