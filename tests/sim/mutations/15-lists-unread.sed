# containers.cpp: what differs in a list is not looked at
s/\|\| first \|\| differs\) want_inspect/|| first) want_inspect/; s/const bool differs = /[[maybe_unused]] const bool differs = /
