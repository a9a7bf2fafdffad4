# containers.cpp: a person's stop is not remembered
s/^( *)p\.stop_seen = true;/\1p.stop_seen = false;/
