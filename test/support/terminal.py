# Runs a command on a terminal of its own, nobody reading what it prints there. SIGUSR1: the terminal goes, as when its
# window is closed. SIGTERM is passed on. Ends as the command does; 128 + signal when one ended it.
import ctypes, os, pty, signal, sys

pid, terminal = pty.fork()
if pid == 0:
    # PR_SET_PDEATHSIG: does not outlive this script.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGUSR1, lambda *_: os.close(terminal))
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
while True:
    try:
        _, status = os.waitpid(pid, 0)
        break
    except InterruptedError:
        pass
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
