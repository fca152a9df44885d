import java.security.AlgorithmParameters;
import java.security.InvalidAlgorithmParameterException;
import java.security.InvalidKeyException;
import java.security.Key;
import java.security.NoSuchAlgorithmException;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.spec.AlgorithmParameterSpec;
import javax.crypto.BadPaddingException;
import javax.crypto.Cipher;
import javax.crypto.CipherSpi;
import javax.crypto.IllegalBlockSizeException;
import javax.crypto.NoSuchPaddingException;
import javax.crypto.ShortBufferException;

/**
 * Java's own RSA by the name under which handle-client asks for it.
 *
 * <p>It asks for "RSA/EBC/PKCS1" where Java has "RSA/ECB/PKCS1Padding", so that without a provider such as this one no
 * session by RSA keys comes about, whatever the server.
 */
public final class NamedAsTheClientDoes extends Provider {
    public NamedAsTheClientDoes() {
        super("NamedAsTheClientDoes", "1", "RSA by another name");
        put("Cipher.RSA/EBC/PKCS1", Rsa.class.getName());
    }

    /** All of it is Java's own. */
    public static final class Rsa extends CipherSpi {
        private final Cipher cipher;

        public Rsa() throws NoSuchAlgorithmException, NoSuchPaddingException {
            cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding");
        }

        @Override
        protected void engineInit(int mode, Key key, SecureRandom random) throws InvalidKeyException {
            cipher.init(mode, key, random);
        }

        @Override
        protected void engineInit(int mode, Key key, AlgorithmParameterSpec parameters, SecureRandom random)
                throws InvalidKeyException, InvalidAlgorithmParameterException {
            cipher.init(mode, key, parameters, random);
        }

        @Override
        protected void engineInit(int mode, Key key, AlgorithmParameters parameters, SecureRandom random)
                throws InvalidKeyException, InvalidAlgorithmParameterException {
            cipher.init(mode, key, parameters, random);
        }

        @Override
        protected byte[] engineUpdate(byte[] data, int offset, int length) {
            return cipher.update(data, offset, length);
        }

        @Override
        protected int engineUpdate(byte[] data, int offset, int length, byte[] out, int at) throws ShortBufferException {
            return cipher.update(data, offset, length, out, at);
        }

        @Override
        protected byte[] engineDoFinal(byte[] data, int offset, int length)
                throws IllegalBlockSizeException, BadPaddingException {
            return cipher.doFinal(data, offset, length);
        }

        @Override
        protected int engineDoFinal(byte[] data, int offset, int length, byte[] out, int at)
                throws ShortBufferException, IllegalBlockSizeException, BadPaddingException {
            return cipher.doFinal(data, offset, length, out, at);
        }

        @Override
        protected int engineGetBlockSize() {
            return cipher.getBlockSize();
        }

        @Override
        protected int engineGetOutputSize(int length) {
            return cipher.getOutputSize(length);
        }

        @Override
        protected byte[] engineGetIV() {
            return cipher.getIV();
        }

        @Override
        protected AlgorithmParameters engineGetParameters() {
            return cipher.getParameters();
        }

        @Override
        protected void engineSetMode(String mode) {
            // It is in the name.
        }

        @Override
        protected void engineSetPadding(String padding) {
            // It is in the name.
        }
    }
}
