# healing.cpp: acts before the intent is durable
s/if \(!op\.intent_known \|\| c\.token != 0\) return;/if (c.token != 0) return;/
