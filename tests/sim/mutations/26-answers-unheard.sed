# healing.cpp: what is answered again just before the restart is restarted nevertheless
s/if \(on_hold\) return;/(void)on_hold;/
