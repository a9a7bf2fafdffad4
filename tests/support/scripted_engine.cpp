#include "support/scripted_engine.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace sentinel::test {
namespace {

std::string status_line(unsigned status) {
  return "HTTP/1.1 " + std::to_string(status) + " Scripted\r\n";
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

bool ScriptedEngine::Exchange::send(std::string_view bytes) {
  const std::size_t step = dribble_ ? 1 : bytes.size();
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), std::min(step, bytes.size()), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0 || engine_.ended()) {
      closed_ = true;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool ScriptedEngine::Exchange::reply(unsigned status, std::string_view body,
                                     std::string_view extra_fields) {
  std::string text = status_line(status) +
                     "Api-Version: 1.45\r\nContent-Type: application/json\r\n" +
                     std::string(extra_fields);
  if (status != 204 && status != 304)
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  if (status != 204 && status != 304) text += body;
  return send(text);
}

bool ScriptedEngine::Exchange::begin_chunks(std::string_view extra_fields) {
  return send(status_line(200) + std::string(extra_fields) + "Transfer-Encoding: chunked\r\n\r\n");
}

bool ScriptedEngine::Exchange::chunk(std::string_view bytes) {
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return send(std::string(size.data()) + std::string(bytes) + "\r\n");
}

bool ScriptedEngine::Exchange::end_chunks() { return send("0\r\n\r\n"); }

void ScriptedEngine::Exchange::stall() {
  // Readable means that the peer closed: it sends nothing while it waits for an answer.
  pollfd entry{fd_, POLLIN, 0};
  while (!engine_.ended() && ::poll(&entry, 1, 20) == 0) {
  }
  closed_ = true;
}

bool ScriptedEngine::Exchange::wait_for(std::string_view flag) {
  std::unique_lock lock(engine_.mutex_);
  engine_.changed_.wait(lock, [&] {
    return engine_.halted_ || std::ranges::find(engine_.flags_, flag) != engine_.flags_.end();
  });
  return !engine_.halted_;
}

ScriptedEngine::ScriptedEngine(Listen where) : tcp_(where == Listen::tcp) {
  std::string pattern = "/tmp/sentinel-engine-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = pattern;
  path_ = folder_ + "/engine.sock";
  set_version("1.24", "1.45");
  if (where != Listen::nowhere) listen();
}

ScriptedEngine::~ScriptedEngine() {
  halt();
  ::unlink(path_.c_str());
  ::rmdir(folder_.c_str());
}

std::string ScriptedEngine::endpoint() const {
  return tcp_ ? "tcp://127.0.0.1:" + std::to_string(port_) : "unix://" + path_;
}

void ScriptedEngine::listen() {
  halted_ = false;
  int fd = -1;
  bool bound = false;
  if (tcp_) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  } else {
    ::unlink(path_.c_str());
    fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = unix_address(path_);
    bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  if (!bound || ::listen(fd, 64) != 0)
    throw std::runtime_error(std::string("scripted Engine: ") + std::strerror(errno));
  listener_ = fd;
  acceptor_ = std::thread(&ScriptedEngine::accept_loop, this, fd);
}

void ScriptedEngine::halt() {
  {
    const std::lock_guard lock(mutex_);
    halted_ = true;
    for (const int fd : open_fds_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
  if (listener_ >= 0) ::shutdown(listener_, SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  if (listener_ >= 0) ::close(listener_);
  listener_ = -1;
  for (std::thread& server : servers_) server.join();
  servers_.clear();
}

void ScriptedEngine::accept_loop(int listener) {
  while (!halted_) {
    pollfd entry{listener, POLLIN, 0};
    ::poll(&entry, 1, 50);
    if (halted_) return;
    if ((entry.revents & POLLIN) == 0) continue;
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++accepted_;
    const std::lock_guard lock(mutex_);
    if (halted_) {
      ::close(fd);
      return;
    }
    open_fds_.push_back(fd);
    servers_.emplace_back(&ScriptedEngine::serve, this, fd);
  }
}

void ScriptedEngine::serve(int fd) {
  std::string buffer;
  std::array<char, 4096> piece{};
  while (!halted_) {
    const auto end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) {
      const ssize_t size = ::recv(fd, piece.data(), piece.size(), 0);
      if (size <= 0) break;
      buffer.append(piece.data(), static_cast<std::size_t>(size));
      continue;
    }
    const std::string head = buffer.substr(0, end);
    constexpr std::string_view field = "\r\nContent-Length: ";
    std::size_t length = 0;
    if (const auto at = head.find(field); at != std::string::npos)
      length = std::strtoul(head.c_str() + at + field.size(), nullptr, 10);
    if (buffer.size() < end + 4 + length) {
      const ssize_t size = ::recv(fd, piece.data(), piece.size(), 0);
      if (size <= 0) break;
      buffer.append(piece.data(), static_cast<std::size_t>(size));
      continue;
    }
    const std::string body = buffer.substr(end + 4, length);
    buffer.erase(0, end + 4 + length);
    Exchange exchange(*this, fd);
    const auto first = head.find(' ');
    const auto second = head.find(' ', first + 1);
    if (second == std::string::npos) break;
    exchange.method = head.substr(0, first);
    exchange.target = head.substr(first + 1, second - first - 1);
    exchange.request_body = body;
    if (exchange.target.starts_with("/v1.")) {
      const auto slash = exchange.target.find('/', 1);
      exchange.version = exchange.target.substr(2, slash - 2);
      exchange.target.erase(0, slash);
    }
    answer(exchange);
    if (exchange.closed()) break;
  }
  const std::lock_guard lock(mutex_);
  std::erase(open_fds_, fd);
  ::close(fd);
}

void ScriptedEngine::answer(Exchange& exchange) {
  const std::string line = exchange.method + " " + exchange.target;
  Handler handler;
  std::string list;
  std::string version;
  std::string inspect;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(line);
    std::string best;
    for (const auto& [route, entry] : routes_) {
      if (line.starts_with(route) && route.size() >= best.size()) best = route;
    }
    if (const auto at = routes_.find(best); at != routes_.end()) {
      handler = at->second.handler;
      const unsigned left = at->second.left;
      if (left == 1) {
        routes_.erase(at);
      } else if (left > 1) {
        at->second.left = left - 1;
      }
    }
    list = list_;
    version = version_json_;
    if (line.starts_with("GET /containers/") && line.ends_with("/json") &&
        line.size() == 16 + 64 + 5) {
      const auto at = inspects_.find(std::string_view(line).substr(16, 64));
      if (at != inspects_.end()) inspect = at->second;
    }
  }
  changed_.notify_all();
  if (handler) return handler(exchange);
  if (line == "GET /version") {
    exchange.reply(200, version);
  } else if (line == "GET /_ping") {
    exchange.reply(200, "OK");
  } else if (line.starts_with("GET /events")) {
    stream(exchange);
  } else if (line.starts_with("GET /containers/json")) {
    exchange.reply(200, list);
  } else if (!inspect.empty()) {
    exchange.reply(200, inspect);
  } else if (line.starts_with("POST ")) {
    exchange.reply(204, "");
  } else {
    exchange.reply(404, R"({"message":"No such container"})");
  }
}

void ScriptedEngine::stream(Exchange& exchange) {
  double until = 0;
  if (const auto at = exchange.target.find("until="); at != std::string::npos)
    until = std::strtod(exchange.target.c_str() + at + 6, nullptr);
  std::unique_lock lock(mutex_);
  std::size_t next = events_.size();
  const std::uint64_t generation = stream_generation_;
  ++open_streams_;
  lock.unlock();
  bool alive = exchange.begin_chunks();
  lock.lock();
  while (alive && !halted_) {
    if (next < events_.size()) {
      const std::string line = events_[next++] + "\n";
      lock.unlock();
      alive = exchange.chunk(line);
      lock.lock();
      continue;
    }
    if (stream_generation_ != generation) {
      const bool properly = end_properly_;
      lock.unlock();
      if (properly) {
        exchange.end_chunks();
      } else {
        exchange.send("40\r\n{\"Type\":");
        exchange.close();
      }
      lock.lock();
      break;
    }
    const std::chrono::duration<double> wall = std::chrono::system_clock::now().time_since_epoch();
    if (keep_to_until_ && wall.count() >= until) {
      lock.unlock();
      exchange.end_chunks();
      lock.lock();
      break;
    }
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  --open_streams_;
}

void ScriptedEngine::on(std::string route, Handler handler) {
  const std::lock_guard lock(mutex_);
  routes_[std::move(route)] = {std::move(handler), 0};
}

void ScriptedEngine::on_next(std::string route, unsigned times, Handler handler) {
  const std::lock_guard lock(mutex_);
  routes_[std::move(route)] = {std::move(handler), times};
}

void ScriptedEngine::set_version(std::string lowest, std::string highest, std::string engine) {
  const std::lock_guard lock(mutex_);
  version_json_ = R"({"Version":")" + engine + R"(","ApiVersion":")" + highest +
                  R"(","MinAPIVersion":")" + lowest + R"("})";
}

void ScriptedEngine::set_list(std::string json) {
  const std::lock_guard lock(mutex_);
  list_ = std::move(json);
}

void ScriptedEngine::set_inspect(std::string id, std::string json) {
  const std::lock_guard lock(mutex_);
  inspects_[std::move(id)] = std::move(json);
}

void ScriptedEngine::event(std::string_view json) {
  {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(json);
  }
  changed_.notify_all();
}

void ScriptedEngine::end_streams(bool properly) {
  {
    const std::lock_guard lock(mutex_);
    ++stream_generation_;
    end_properly_ = properly;
  }
  changed_.notify_all();
}

unsigned ScriptedEngine::open_streams() const {
  const std::lock_guard lock(mutex_);
  return open_streams_;
}

void ScriptedEngine::raise(std::string_view flag) {
  {
    const std::lock_guard lock(mutex_);
    flags_.emplace_back(flag);
  }
  changed_.notify_all();
}

unsigned ScriptedEngine::seen(std::string_view route) const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(std::ranges::count_if(
      requests_, [route](const std::string& r) { return r.starts_with(route); }));
}

std::vector<std::string> ScriptedEngine::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace sentinel::test
