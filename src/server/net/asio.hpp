// The parts of Boost.Asio that the server uses, included in one place. Asio is compiled once, in asio.cpp
// (target server_asio defines BOOST_ASIO_SEPARATE_COMPILATION for everybody who links it).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace godwit::net {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

}  // namespace godwit::net
