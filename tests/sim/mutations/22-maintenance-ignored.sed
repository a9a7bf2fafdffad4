# states.cpp: maintenance does not hold healing
/if \(now_ < s\.maintenance_until\) return "it is in maintenance";/d
