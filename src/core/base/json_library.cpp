// Boost.JSON is used header-only: its code is compiled here and nowhere else.
#include <boost/json/src.hpp>
