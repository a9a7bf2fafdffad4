// Failover to its monitor: over a Unix socket, to the server that takes it there.

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/http_server.hpp"
#include "protocol/relay.hpp"
#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using core::SendResult;

namespace {

class MonitorSocket {
 public:
  explicit MonitorSocket(SenderBed& bed) : bed_(bed) {
    std::string pattern = (std::filesystem::temp_directory_path() / "relay-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  ~MonitorSocket() {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  MonitorSocket(const MonitorSocket&) = delete;
  MonitorSocket& operator=(const MonitorSocket&) = delete;

  void listen() {
    server_ = std::make_unique<io::HttpServer>(bed_.context(), io::HttpServerOptions{},
                                               [this](const io::HttpRequest& request) {
                                                 heard.push_back(request);
                                                 io::HttpResponse response;
                                                 response.status = status;
                                                 return response;
                                               });
    REQUIRE(server_->listen_unix(path(), 0660));
    server_->start();
  }
  std::string path() const { return folder_ + "/monitor.sock"; }
  io::ReceiverSpec spec() const {
    io::ReceiverSpec out;
    out.name = "monitor";
    out.integration = "monitor";
    out.kind = io::ReceiverKind::relay;
    out.unix_socket = path();
    out.url = io::Secret{"http://localhost" + std::string{protocol::relay_path}};
    return out;
  }

  std::vector<io::HttpRequest> heard;
  unsigned status = 200;

 private:
  SenderBed& bed_;
  std::string folder_;
  std::unique_ptr<io::HttpServer> server_;
};

core::Delivery delivery() {
  core::Delivery out;
  out.key = "01JNJ3Z7K8W9X0YABCDEFGHJKM:1:monitor";
  out.message.items.resize(1);
  out.message.items[0].incident.id = "01JNJ3Z7K8W9X0YABCDEFGHJKM";
  out.message.items[0].incident.root = {core::SubjectKind::server, "web", "alpha", 0};
  return out;
}

}  // namespace

TEST_CASE("the monitor is told over its socket, whatever proxy the environment names") {
  SenderBed bed;
  MonitorSocket monitor(bed);
  monitor.listen();
  bed.sender().configure({monitor.spec()});
  check(bed.end(bed.begin("monitor", delivery())), SendResult::accepted, "");
  REQUIRE(monitor.heard.size() == 1);
  const io::HttpRequest& request = monitor.heard.front();
  CHECK(request.local);
  CHECK(request.method == "POST");
  CHECK(request.path == protocol::relay_path);
  CHECK(request.field("Content-Type") == "application/json");
  CHECK(request.field("Idempotency-Key") == delivery().key);
  const auto message = protocol::parse_relay(request.body);
  REQUIRE(message);
  CHECK(message->items.front().incident.root.name == "alpha");
}

TEST_CASE("a monitor that is away, or not ready, is told again; one that refuses is not") {
  SenderBed bed;
  MonitorSocket monitor(bed);
  bed.sender().configure({monitor.spec()});
  check(bed.end(bed.begin("monitor", delivery())), SendResult::retry, monitor.path());
  monitor.listen();
  monitor.status = 503;
  check(bed.end(bed.begin("monitor", delivery())), SendResult::retry, "503");
  monitor.status = 400;
  check(bed.end(bed.begin("monitor", delivery())), SendResult::permanent, "400");
  monitor.status = 200;
  check(bed.end(bed.begin("monitor", delivery())), SendResult::accepted, "");
}
