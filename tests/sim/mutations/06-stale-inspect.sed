# service.hpp: an inspect an hour old is fresh enough to act on
/fresh_for =/,/;/ s/\b1s;/1h;/
