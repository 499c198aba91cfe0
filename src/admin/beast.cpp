// The one place where the function bodies of Beast are compiled (separate compilation). Asio's are in src/net.
#include <boost/beast/src.hpp>
