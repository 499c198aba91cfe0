// The one place where the function bodies of Asio and Beast are compiled for the stand-in (separate compilation).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
