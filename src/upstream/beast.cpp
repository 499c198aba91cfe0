// The one place where the function bodies of Beast are compiled (BOOST_BEAST_SEPARATE_COMPILATION): the health checks
// are the lowest part that uses it.
#include <boost/beast/src.hpp>
