import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Logs numbered lines through log4j: WRITER FIRST COUNT BURST PAUSE_MS. */
public final class Log4jWriter {
    public static void main(String[] arguments) throws InterruptedException {
        String writer = arguments[0];
        long first = Long.parseLong(arguments[1]);
        long end = first + Long.parseLong(arguments[2]);
        long burst = Long.parseLong(arguments[3]);
        long pauseMillis = Long.parseLong(arguments[4]);
        Logger logger = LogManager.getLogger(Log4jWriter.class);
        for (long number = first; number < end; number++) {
            logger.info("line ={}:{}= of a table that has as many lines as a table has", writer, number);
            if ((number + 1) % burst == 0) {
                Thread.sleep(pauseMillis);
            }
        }
        LogManager.shutdown();
    }
}
