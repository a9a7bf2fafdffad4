# impl.hpp: judgement and healing go on while the Engine is away
s/return !s\.target && \(!engine_up_ \|\| !listed_\);/return false;/
