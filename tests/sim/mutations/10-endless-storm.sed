# storm.cpp: a storm hold never ends
s/if \(!until_ \|\| now < \*until_\) return false;/(void)now; return false;/
