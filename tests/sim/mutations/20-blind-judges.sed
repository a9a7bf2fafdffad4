# states.cpp: judgement and healing go on while the Engine is away
s/o\.blind = .*;/o.blind = false;/
