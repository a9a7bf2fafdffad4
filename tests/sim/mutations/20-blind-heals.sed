# healing.cpp: operations go on while the Engine is away
s/while \(engine_up_ && listed_ && /while (/
