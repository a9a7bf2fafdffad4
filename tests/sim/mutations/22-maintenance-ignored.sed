# states.cpp: maintenance does not hold healing
/if \(s\.overlays\.maintenance\) return "it is in maintenance";/d
