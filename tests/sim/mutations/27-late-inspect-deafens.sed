# containers.cpp: until its inspect comes, all that happens to a container after its restart counts as our own
s/return op\.phase == Phase::confirming && op\.result != OperationResult::done;/return op.phase == Phase::confirming;/
