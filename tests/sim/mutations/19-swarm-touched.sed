# states.cpp: Swarm tasks are healed
/if \(info\.swarm_task\)/d
