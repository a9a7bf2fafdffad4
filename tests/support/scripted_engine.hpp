#pragma once

// An Engine for tests: a real socket, scripted answers. It listens on a Unix socket in a folder of
// its own (or on TCP), serves each connection in a thread, and answers what a test has put down for
// the longest matching prefix of "METHOD /target" (without the API version). What no test has put
// down, it answers like an Engine without containers.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sentinel::test {

class ScriptedEngine {
 public:
  /// One request and the means to answer it; every call returns false when the peer has gone or the
  /// test is over.
  class Exchange {
   public:
    Exchange(ScriptedEngine& engine, int fd) : engine_(engine), fd_(fd) {}
    std::string method;
    std::string target;   // without the version
    std::string version;  // "1.45", empty when there was none
    std::string request_body;

    bool send(std::string_view bytes);
    bool reply(unsigned status, std::string_view body, std::string_view extra_fields = {});
    bool begin_chunks(std::string_view extra_fields = {});
    bool chunk(std::string_view bytes);
    bool end_chunks();
    /// Every further send goes out byte by byte.
    void dribble() { dribble_ = true; }
    /// Waits until the peer closes or the test is over.
    void stall();
    /// The connection is closed after this exchange.
    void close() { closed_ = true; }
    /// Waits for a flag raised by ScriptedEngine::raise().
    bool wait_for(std::string_view flag);
    bool closed() const { return closed_; }

   private:
    ScriptedEngine& engine_;
    int fd_;
    bool dribble_ = false;
    bool closed_ = false;
  };
  using Handler = std::function<void(Exchange&)>;

  enum class Listen { local, tcp, nowhere };
  explicit ScriptedEngine(Listen where = Listen::local);
  ~ScriptedEngine();
  ScriptedEngine(const ScriptedEngine&) = delete;
  ScriptedEngine& operator=(const ScriptedEngine&) = delete;

  /// For a client's `endpoint`.
  std::string endpoint() const;
  /// Starts listening when constructed with `nowhere`, or again after halt().
  void listen();
  /// Closes the listener and every connection, as a killed daemon does.
  void halt();

  /// e.g. on("GET /containers/json", ...). Replaces an earlier one.
  void on(std::string route, Handler handler);
  /// For as many requests of this route, then the usual answer.
  void on_next(std::string route, unsigned times, Handler handler);

  void set_version(std::string lowest, std::string highest, std::string engine = "1.0-scripted");
  void set_list(std::string json);
  void set_inspect(std::string id, std::string json);

  /// One line for every open stream.
  void event(std::string_view json);
  /// Ends open streams; properly or in the middle of a chunk.
  void end_streams(bool properly);
  /// Streams end by themselves at `until`, as an Engine's do. On by default.
  void keep_to_until(bool on) { keep_to_until_ = on; }
  unsigned open_streams() const;

  void raise(std::string_view flag);
  /// Requests seen so far whose "METHOD /target" starts so.
  unsigned seen(std::string_view route) const;
  std::vector<std::string> requests() const;
  unsigned connections() const { return accepted_; }

 private:
  void accept_loop(int listener);
  void serve(int fd);
  void answer(Exchange& exchange);
  void stream(Exchange& exchange);
  bool ended() const { return halted_; }

  std::string folder_;
  std::string path_;
  bool tcp_ = false;
  unsigned short port_ = 0;
  int listener_ = -1;
  std::thread acceptor_;
  std::vector<std::thread> servers_;
  std::vector<int> open_fds_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> halted_ = true;
  std::atomic<bool> keep_to_until_ = true;
  std::atomic<unsigned> accepted_ = 0;
  struct Route {
    Handler handler;
    unsigned left = 0;  // 0: for ever
  };
  std::map<std::string, Route, std::less<>> routes_;
  std::map<std::string, std::string, std::less<>> inspects_;
  std::string list_ = "[]";
  std::string version_json_;
  std::vector<std::string> events_;
  std::vector<std::string> requests_;
  std::vector<std::string> flags_;
  std::uint64_t stream_generation_ = 0;
  bool end_properly_ = true;
  unsigned open_streams_ = 0;
};

}  // namespace sentinel::test
